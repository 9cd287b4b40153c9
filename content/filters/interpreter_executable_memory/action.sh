# perl maps a page that may be written and executed.
act() { perl -e 'syscall 9, 0, 4096, 7, 0x22, -1, 0'; }
