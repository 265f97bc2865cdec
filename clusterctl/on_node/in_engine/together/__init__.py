"""What a client sends into engines that are to work together: also pyzmq, which each engine has."""
