"""What clients and the controller have agreed on, so that what waits with clients is known where engines are bought."""

REQUEST = "clusterctl_demand_request"
"""To the hub: `items` that are not done, `item_s` seconds that one takes (0: nobody knows), `engines` that are wanted
(0: as many as there are), `rate`, how many were done in a second of late, and `for_s`, for how many seconds this
holds. Without items nothing waits any more."""
REPLY = "clusterctl_demand_reply"
"""`grows`: whether somebody listens who adds nodes, so that a client without any engine has to wait for one."""
SUMS = "demand"
"""In the hub's answer to a probe, and in what the probe finds: of how many `clients` items wait, how many `items`, and
their `rate` together."""
LISTENS = "clusterctl_demand_listener"
"""To the hub: somebody reads the demand now and adds nodes. It is said at each look."""
LISTENS_S = 90.0
"""How long that holds: some looks of a watch."""
FOLDER = ".clusterctl/demand"
"""In the home. The hub writes a file for each client, in the form that `system/ending/demand.py` reads."""
