# A shell writes a file of such a name.
act() { echo hello >/home/ana/HOW_TO_DECRYPT.txt; }
