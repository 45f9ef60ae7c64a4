nibble --version
