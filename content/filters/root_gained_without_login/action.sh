# perl gives up root and takes it back.
act() { perl -e '$> = 1000; $> = 0'; }
