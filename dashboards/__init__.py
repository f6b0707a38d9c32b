"""Pages over the warehouse; what they change, they change through the control plane."""
