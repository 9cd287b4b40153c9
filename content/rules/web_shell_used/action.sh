# A program called apache2 (a shell) writes a script below the web root, then starts a shell.
prepare() { put /bin/bash /usr/local/bin/apache2; }
act() {
    apache2 -c 'echo "<?php" >/var/www/html/up.php'
    apache2 -c 'sh -c id; true'
}
