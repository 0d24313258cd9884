"""Objects of OpenNebula as it tells of them: VMs, hosts, pools, templates, versions."""
