nibble hepl
