# `lftp -e 'put /home/ana/list.csv; bye' ftp://127.0.0.1`, with a harmless program by the name of lftp.
prepare() { stand_in lftp; }
act() { lftp -e 'put /home/ana/list.csv; bye' ftp://127.0.0.1; }
