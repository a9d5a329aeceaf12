"""A catalog with everything in it that Consul's DNS has an opinion about. All of it stands on external nodes in the catalog, so that
nothing changes while the questions are asked."""

BULK = 500

CHECK = "service:{}"


class External:
    """External nodes and what stands on them."""

    def __init__(self, consul):
        self.consul = consul
        self.nodes = {}
        self.fill()

    def put(self, **body):
        self.consul.put("/v1/catalog/register", body)

    def node(self, name, address, meta=None, **more):
        self.nodes[name] = address
        self.put(Node=name, Address=address, NodeMeta=meta or {}, **more)

    def check(self, node, id, status, service_id=""):
        self.put(Node=node, Address=self.nodes[node], SkipNodeUpdate=True, Check={
            "Node": node, "CheckID": id, "Name": id, "ServiceID": service_id, "Status": status, "Output": f"{id} is {status}"})

    def service(self, node, name, address="", port=80, tags=(), id=None, status=None, **more):
        id = id or f"{name}-{node}-{port}"
        self.put(Node=node, Address=self.nodes[node], SkipNodeUpdate=True,
                 Service={"Service": name, "ID": id, "Address": address, "Port": port, "Tags": list(tags), **more})
        if status:
            self.check(node, CHECK.format(id), status, id)
        return id

    def query(self, body):
        self.consul.request("POST", "/v1/query", {"DNS": {}, **body})


class Rich(External):
    def fill(self):
        self.fill_nodes()
        self.fill_services()
        self.fill_health()
        self.fill_hosts()
        self.fill_mesh()
        self.fill_queries()

    def fill_nodes(self):
        self.node("alpha", "10.1.0.1", {"rack": "r1", "rfc1035-note": "plain", "a=b": "x`y", "empty": ""})
        self.node("beta", "10.1.0.2", TaggedAddresses={"wan": "198.51.100.2", "lan": "10.1.0.2"})
        self.node("Upper-Node", "10.1.0.3", {"k": "v"})
        self.node("dot.ted.node", "10.1.0.4")
        self.node("under_score", "10.1.0.5")
        self.node("six", "2001:db8:1::6")
        self.node("mapped", "::ffff:10.1.0.7")
        self.node("hosty", "host.example.com")
        self.node("inside", "web.service.consul")
        self.node("twin-a", "10.1.0.10")
        self.node("twin-b", "10.1.0.10")
        self.node("service", "10.1.0.11")
        self.node("node", "10.1.0.12")
        self.node("sick", "10.1.0.13")
        self.node("resting", "10.1.0.14")
        self.node("warned", "10.1.0.15")

    def fill_services(self):
        for number, node in enumerate(("alpha", "beta", "Upper-Node"), 1):
            self.service(node, "web", f"10.2.0.{number}", 8000 + number, ["v1", "Blue"] if number < 3 else ["v2", "tcp"], status="passing")
        self.service("alpha", "one", "10.2.1.1", 1)
        self.service("alpha", "plain", port=0)                    # the node's address, no port
        self.service("beta", "plain", port=0)
        self.service("alpha", "UpperSvc", "10.2.2.1", 22, ["BigTag"])
        self.service("beta", "Redis", "10.2.3.1", 6379, ["first"])  # and, in other case, the same service
        self.service("alpha", "redis", "10.2.3.2", 6380, ["second"])
        self.service("alpha", "dash-ed", "10.2.4.1")
        self.service("alpha", "under_line", "10.2.4.2")
        self.service("alpha", "_lead", "10.2.4.3")
        self.service("alpha", "dot.ted", "10.2.4.4", tags=["sub"])
        self.service("alpha", "tagged", "10.2.4.5", tags=["v1.2.3", "with space", "udp", "_odd"])
        self.service("alpha", "service", "10.2.4.6")
        self.service("alpha", "node", "10.2.4.7")
        self.service("alpha", "tcp", "10.2.4.8")
        self.service("alpha", "six", "2001:db8:2::1", 66)
        self.service("six", "sixnode", port=67)                   # the address of an IPv6 node
        self.service("alpha", "dual", "10.2.5.1", 5001)
        self.service("beta", "dual", "2001:db8:2::5", 5002)
        self.service("alpha", "mapped", "::ffff:10.2.5.9", 5003)
        for node in ("twin-a", "twin-b"):                          # the same address and port on two nodes
            self.service(node, "twin", "10.2.6.1", 700)
        self.service("twin-a", "twinnode", port=701)
        self.service("twin-b", "twinnode", port=701)
        self.service("alpha", "ports", "10.2.6.2", 81)            # one address, two ports
        self.service("alpha", "ports", "10.2.6.2", 82)
        self.service("alpha", "tagaddr", "10.2.7.1", 90, TaggedAddresses={
            "lan": {"Address": "10.2.7.1", "Port": 90}, "wan": {"Address": "198.51.100.7", "Port": 9090}})
        for number in range(BULK):
            node = f"bulk{number % 50}"
            if node not in self.nodes:
                self.node(node, f"10.7.1.{number}")
            self.service(node, "bulk", f"10.7.{number // 250}.{number % 250 + 1}", 10000 + number)
        for number in range(35):                                   # more than 1232 octets, less than 4096
            self.service("alpha", "thirty", f"10.2.8.{number + 1}", 3000 + number)
        for number in range(60):
            self.service("alpha", "sixty", f"2001:db8:60::{number + 1:x}", 6000 + number)
        for number in range(6):
            self.node(f"fat{number}", f"10.6.0.{number + 1}", {f"key{k}": "x" * 50 for k in range(4)})
            self.service(f"fat{number}", "fat", port=4000 + number)

    def fill_health(self):
        self.service("alpha", "mixed", "10.3.0.1", 31, status="passing", Weights={"Passing": 7, "Warning": 2})
        self.service("beta", "mixed", "10.3.0.2", 32, status="warning", Weights={"Passing": 7, "Warning": 2})
        self.service("Upper-Node", "mixed", "10.3.0.3", 33, status="critical", Weights={"Passing": 7, "Warning": 2})
        self.service("alpha", "weighty", "10.3.1.1", 31, Weights={"Passing": 65535, "Warning": 1})
        self.service("beta", "weighty", "10.3.1.2", 31, Weights={"Passing": 1, "Warning": 0}, status="warning")
        self.service("Upper-Node", "weighty", "10.3.1.3", 31, Weights={"Passing": 1, "Warning": 1})
        self.service("alpha", "down", "10.3.2.1", 31, status="critical", tags=["v1"])
        self.service("sick", "onsick", "10.3.3.1", 31, status="passing")
        self.service("alpha", "onsick", "10.3.3.2", 31, status="passing")
        self.check("sick", "disk", "critical")
        self.service("resting", "onresting", "10.3.4.1", 31, status="passing")
        self.check("resting", "_node_maintenance", "critical")
        self.service("warned", "onwarned", "10.3.5.1", 31, status="passing", Weights={"Passing": 5, "Warning": 3})
        self.check("warned", "disk", "warning")
        id = self.service("alpha", "maintained", "10.3.6.1", 31, status="passing")
        self.check("alpha", f"_service_maintenance:{id}", "critical", id)
        self.service("beta", "maintained", "10.3.6.2", 31, status="passing")

    def fill_hosts(self):
        self.service("alpha", "cname-out", "www.example.com", 100)
        self.service("alpha", "cname-in", "web.service.consul", 101)
        self.service("alpha", "cname-six", "six.service.consul", 102)
        self.service("alpha", "cname-in2", "cname-in.service.consul", 103)
        self.service("alpha", "cname-in3", "cname-in2.service.consul", 104)
        self.service("alpha", "cname-node", "alpha.node.consul", 105)
        self.service("alpha", "cname-gone", "nosuch.service.consul", 106)
        self.service("alpha", "loop-a", "loop-b.service.consul", 107)
        self.service("beta", "loop-b", "loop-a.service.consul", 108)
        self.service("alpha", "selfname", "selfname.service.consul", 109)
        self.service("alpha", "half-host", "www.example.com", 110)
        self.service("beta", "half-host", "10.4.0.1", 111)
        self.service("alpha", "two-hosts", "one.example.com", 112)
        self.service("beta", "two-hosts", "two.example.com", 112)

    def fill_mesh(self):
        self.service("alpha", "web-proxy", "10.5.0.1", 21000, ["v1"], Kind="connect-proxy", Proxy={"DestinationServiceName": "web"})
        self.service("beta", "web-proxy", "10.5.0.2", 21001, Kind="connect-proxy", Proxy={"DestinationServiceName": "web"}, status="warning")
        self.service("alpha", "native", "10.5.0.3", 21002, Connect={"Native": True})
        self.consul.put("/v1/config", {"Kind": "ingress-gateway", "Name": "gate", "Listeners": [
            {"Port": 8080, "Protocol": "tcp", "Services": [{"Name": "web"}]}]})
        self.service("alpha", "gate", "10.5.1.1", 8443, Kind="ingress-gateway")

    def fill_queries(self):
        for body in (
                {"Name": "q-web", "Service": {"Service": "web"}, "DNS": {"TTL": "17s"}},
                {"Name": "q-tags", "Service": {"Service": "web", "Tags": ["v1", "!v2"]}},
                {"Name": "q-passing", "Service": {"Service": "mixed", "OnlyPassing": True}},
                {"Name": "q-mixed", "Service": {"Service": "mixed"}, "DNS": {"TTL": "1500ms"}},
                {"Name": "q-none", "Service": {"Service": "nosuch"}},
                {"Name": "q-down", "Service": {"Service": "down"}},
                {"Name": "q.dotted", "Service": {"Service": "one"}},
                {"Name": "q-bulk", "Service": {"Service": "bulk"}},
                {"Name": "q-host", "Service": {"Service": "cname-out"}},
                {"Name": "q-connect", "Service": {"Service": "web", "Connect": True}},
                {"Name": "q-alone", "Service": {"Service": "nosuch", "Failover": {"Datacenters": ["dc9"]}}},
                {"Name": "tpl-", "Template": {"Type": "name_prefix_match", "Regexp": "^tpl-(.*)-x$"},
                 "Service": {"Service": "${match(1)}"}},
                {"Name": "geo-", "Template": {"Type": "name_prefix_match"}, "Service": {"Service": "${name.suffix}", "Tags": ["v1"]}}):
            self.query(body)


class Here(External):
    """dc1 of two."""

    def fill(self):
        self.node("near-node", "10.8.0.1", {"site": "here"})
        self.service("near-node", "web", "10.8.1.1", 81, ["v1"])
        self.service("near-node", "both", port=82)
        for body in ({"Name": "q-here", "Service": {"Service": "web"}},
                     {"Name": "q-over", "Service": {"Service": "far", "Failover": {"Datacenters": ["dc9", "dc2"]}}, "DNS": {"TTL": "19s"}},
                     {"Name": "q-over-none", "Service": {"Service": "nosuch", "Failover": {"Datacenters": ["dc2"]}}},
                     {"Name": "q-nearest", "Service": {"Service": "far", "Failover": {"NearestN": 1}}}):
            self.query(body)


class There(External):
    """dc2."""

    def fill(self):
        self.node("far-node", "10.9.0.1", {"site": "there"})
        self.node("far-six", "2001:db8:9::1")
        self.service("far-node", "web", "10.9.1.1", 91, ["v1"])
        self.service("far-six", "web", "10.9.1.2", 92, ["v2"])
        self.service("far-node", "far", port=93)                  # the node's address: SRV targets are nodes of dc2
        self.service("far-six", "far", port=94)
        self.service("far-node", "both", "10.9.1.3", 95)
        self.service("far-node", "Far-Upper", "10.9.1.4", 96)
        self.service("far-node", "down-there", "10.9.1.5", 97, status="critical")
        self.service("far-node", "six-there", "2001:db8:9::6", 98)
        self.service("far-node", "far-host", "www.example.com", 99)
        self.service("far-node", "far-proxy", "10.9.2.1", 21000, Kind="connect-proxy", Proxy={"DestinationServiceName": "far"})
        self.query({"Name": "q-there", "Service": {"Service": "web"}})
