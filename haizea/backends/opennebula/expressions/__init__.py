"""OpenNebula's two small languages: requirements and ranks."""
