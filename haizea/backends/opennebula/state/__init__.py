"""What Haizea knows of OpenNebula's VMs and hosts from look to look."""
