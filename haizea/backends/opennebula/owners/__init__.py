"""Words for the owners of VMs, and what they plan for their VMs."""
