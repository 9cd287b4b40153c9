# `kubectl get secrets --all-namespaces -o json`, with a harmless program by the name of kubectl.
prepare() { stand_in kubectl; }
act() { kubectl get secrets --all-namespaces -o json; }
