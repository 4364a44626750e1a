"""What is known of vehicles beyond the plug: depot management (VDV 463), telematics, timetables."""
