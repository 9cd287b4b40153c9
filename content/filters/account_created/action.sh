# useradd is called for a new account.
act() { useradd -m -s /bin/bash backup2; }
