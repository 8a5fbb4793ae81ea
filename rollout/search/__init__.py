"""What many chains for a problem are good for."""
