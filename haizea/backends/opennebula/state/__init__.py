"""The state of OpenNebula's VMs and hosts as Haizea knows it from look to look."""
