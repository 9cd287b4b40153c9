# A program (that does nothing) is given a mining pool's address.
prepare() { stand_in kworkerd; }
act() { kworkerd -o stratum+tcp://127.0.0.1:3333 -u wallet; }
