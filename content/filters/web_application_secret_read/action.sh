# cat opens /var/www/html/wp-config.php, made for it.
prepare() { mkdir -p '/var/www/html' && echo x >'/var/www/html/wp-config.php'; }
act() { cat '/var/www/html/wp-config.php'; }
