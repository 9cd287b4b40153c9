# A program called nginx (a shell) starts a shell that opens the application's settings.
prepare() {
    put /bin/bash /usr/local/bin/nginx
    mkdir -p /var/www/html && echo x >/var/www/html/wp-config.php
}
act() { nginx -c 'sh -c "cat /var/www/html/wp-config.php; true"; true'; }
