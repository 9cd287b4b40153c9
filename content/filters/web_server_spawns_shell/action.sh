# A program called nginx (a shell) starts a shell.
prepare() { put /bin/bash /usr/local/bin/nginx; }
act() { nginx -c 'sh -c id; true'; }
