# `pgrep -fl 'falcon|wazuh|osquery'`, with a harmless program by the name of pgrep.
prepare() { stand_in pgrep; }
act() { pgrep -fl 'falcon|wazuh|osquery'; }
