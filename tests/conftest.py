"""Being here, this file puts ``tests/`` on the import path: ``from shared_data import shared``."""
