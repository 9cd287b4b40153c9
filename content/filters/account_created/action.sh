# useradd is called for a new account (a harmless program by that name).
prepare() { stand_in useradd; }
act() { useradd -m -s /bin/bash backup2; }
