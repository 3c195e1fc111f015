// Preloaded by node, for servers that take a port of all interfaces: makes it a free one of this machine alone, and says which.

import net from "node:net";

const listen = net.Server.prototype.listen;
net.Server.prototype.listen = function (_port, ...rest) {
  this.once("listening", () => console.error(`port ${this.address().port}`));
  return listen.call(this, { host: "127.0.0.1", port: 0 }, ...rest);
};
