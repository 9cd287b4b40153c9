# A shell writes such a file.
act() { echo x >/usr/lib/.tidy; }
