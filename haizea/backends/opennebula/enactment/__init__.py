"""From decisions to commands, and from what becomes of VMs to inputs."""
