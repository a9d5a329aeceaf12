# The least rights of Lictor's Consul token, for a Consul with `acl { default_policy = "deny" }`:
#
#   consul acl policy create -name lictor -rules @policy.hcl
#   consul acl token create -description lictor -policy-name lictor
#
# Put the SecretID into a file that only the daemon's user can read, and name it in lictord.conf: consul { token-file = "..." }.
# One token serves all instances of a cluster.

# The health view. Leave services or nodes out and they are absent from DNS: Consul filters its lists silently,
# so a denied service cannot be told from one that does not exist.
service_prefix "" {
  policy = "read"
}
node_prefix "" {
  policy = "read"
}

# The rest is for `election`; a server without that block needs none of it.

# Our own service instance and its TTL check, whose failure releases the lock.
service "lictor" {
  policy = "write"
}

# Sessions are created on the node of the agent that is asked. To narrow it, name those nodes: session "dns1" { ... }
session_prefix "" {
  policy = "write"
}

# The lock, the members, the zones. "default" is election.cluster.
key_prefix "lictor/default/" {
  policy = "write"
}

# The agent's node name and datacenter (/v1/agent/self).
agent_prefix "" {
  policy = "read"
}
