// A download that survives the loss of its first path: two hosts and two links made of network namespaces.
// Run it as root, or as `unshare -Urn node dist/examples/lab.js`.
import { Lab, transfer } from "subflow/lab";
import { MptcpPm } from "subflow/netlink";
import { ENDPOINT_FLAG, parseAddress } from "subflow/types";

await using lab = await Lab.create({
  hosts: { client: { sourceRoutes: true }, server: {} },
  links: [
    { name: "wifi", rate: "20mbit", ends: { client: ["10.0.1.1/24"], server: ["10.0.1.2/24"] } },
    { name: "cellular", rate: "10mbit", ends: { client: ["10.0.2.1/24"], server: ["10.0.2.2/24"] } },
  ],
});
const [client, server, wifi] = [lab.host("client"), lab.host("server"), lab.link("wifi")];

using pm = MptcpPm.open({ netns: client.netns });
pm.addEndpoint({ address: parseAddress("10.0.2.1")!, flags: ENDPOINT_FLAG.subflow | ENDPOINT_FLAG.backup });

const service = await server.listen({ address: "10.0.1.2" });
const connection = await service.connect(client.netns);
await transfer(connection.client, connection.server, 1000);
await lab.waitFor(() => pm.connections()[0]?.subflows.length === 2, 5000, "the second subflow");

const download = transfer(connection.server, connection.client, 5_000_000);
await wifi.down(client);
console.log(await download); // { bytes, duration, longestStall, isIntact }
