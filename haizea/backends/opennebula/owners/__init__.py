"""What the owners of VMs read, and what they plan for their VMs."""
