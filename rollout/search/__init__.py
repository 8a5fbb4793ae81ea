"""What can be made of many chains for one problem."""
