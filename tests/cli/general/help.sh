nibble help
