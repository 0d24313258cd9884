"""Looking at a whole OpenNebula: watching it, and checking how it is set up."""
