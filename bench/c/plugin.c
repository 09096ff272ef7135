/* A plug-in of mptcpd that answers each new client connection with one subflow from SUBFLOW_BENCH_LOCAL. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdlib.h>
/* They expect bool to be there. */
#include <mptcpd/path_manager.h>
#include <mptcpd/plugin.h>

static struct sockaddr_in local = {.sin_family = AF_INET};

static void established(mptcpd_token_t token, struct sockaddr const *laddr, struct sockaddr const *raddr,
                        bool server_side, struct mptcpd_pm *pm) {
  (void)laddr;
  if (!server_side) mptcpd_pm_add_subflow(pm, token, 1, 0, (struct sockaddr *)&local, raddr, false);
}

static struct mptcpd_plugin_ops const ops = {.connection_established = established};

static int begin(struct mptcpd_pm *pm) {
  (void)pm;
  char const *text = getenv("SUBFLOW_BENCH_LOCAL");
  if (!text || inet_pton(AF_INET, text, &local.sin_addr) != 1) return -1;
  return mptcpd_plugin_register_ops("bench", &ops) ? 0 : -1;
}

static void end(struct mptcpd_pm *pm) { (void)pm; }

MPTCPD_PLUGIN_DEFINE(bench, "one subflow per connection", MPTCPD_PLUGIN_PRIORITY_DEFAULT, begin, end)
