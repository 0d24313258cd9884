"""From waiting VMs to requests for leases."""
