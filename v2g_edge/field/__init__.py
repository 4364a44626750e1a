"""OCPP and Modbus: bytes on one side, readings and setpoints on the other. No exception leaves this room."""
