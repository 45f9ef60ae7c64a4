nibble
