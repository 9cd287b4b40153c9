# A shell writes a script below the web root.
act() { echo '<?php echo 1;' >/var/www/html/tidy.php; }
