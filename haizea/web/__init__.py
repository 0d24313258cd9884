"""The web interface: pages, scripts and styles that a browser is given, as they are."""
