# What scripts of ordinary work may use. `left` says whether there is time left of $WORK_SECONDS; `rest` is
# what a person or a schedule leaves between two deeds.
left() { [ "$SECONDS" -lt "$WORK_SECONDS" ]; }
rest() { sleep "$1"; }
# Somebody without privileges, as after a login.
ana() { (cd /home/ana && HOME=/home/ana USER=ana LOGNAME=ana setpriv --reuid=1000 --regid=1000 --clear-groups -- "$@"); }
# An account of a service.
account() { getent passwd "$1" >/dev/null || echo "$1:x:$2:$2::/srv/$1:/usr/sbin/nologin" >>/etc/passwd; }
export -f left rest
