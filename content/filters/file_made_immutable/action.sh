# `chattr +i /etc/cron.d/tidy`.
act() { chattr +i /etc/cron.d/tidy; }
