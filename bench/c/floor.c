/*
 * The floor of a userspace path manager: reads mptcp_pm_events and answers each ESTABLISHED of a client with one
 * SUBFLOW_CREATE from a fixed address. Nothing is remembered, nothing is checked. `floor LOCAL_ADDRESS`
 */
#include <arpa/inet.h>
#include <linux/genetlink.h>
#include <linux/mptcp.h>
#include <linux/netlink.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static char *put(char *at, int type, const void *data, int length) {
  struct nlattr header = {.nla_len = (uint16_t)(NLA_HDRLEN + length), .nla_type = (uint16_t)type};
  memset(at, 0, NLA_ALIGN(header.nla_len));
  memcpy(at, &header, sizeof header);
  memcpy(at + NLA_HDRLEN, data, length);
  return at + NLA_ALIGN(header.nla_len);
}

static int transact(int fd, int type, int command, char *body, char *end, char *answer) {
  struct nlmsghdr *message = (struct nlmsghdr *)(body - NLMSG_HDRLEN - GENL_HDRLEN);
  *message = (struct nlmsghdr){(uint32_t)(end - (char *)message), (uint16_t)type, NLM_F_REQUEST | NLM_F_ACK, 1, 0};
  *(struct genlmsghdr *)(body - GENL_HDRLEN) = (struct genlmsghdr){(uint8_t)command, 1, 0};
  send(fd, message, message->nlmsg_len, 0);
  return (int)recv(fd, answer, 8192, 0);
}

static const struct nlattr *find(const char *from, const char *to, int type) {
  while (from < to) {
    const struct nlattr *attribute = (const struct nlattr *)from;
    if ((attribute->nla_type & NLA_TYPE_MASK) == type) return attribute;
    from += NLA_ALIGN(attribute->nla_len);
  }
  return NULL;
}

static int family, group;

/* The number of mptcp_pm, and of its group mptcp_pm_events. */
static void resolve(int fd) {
  char request[256], answer[8192];
  char *body = request + NLMSG_HDRLEN + GENL_HDRLEN;
  int length = transact(fd, GENL_ID_CTRL, CTRL_CMD_GETFAMILY, body, put(body, CTRL_ATTR_FAMILY_NAME, "mptcp_pm", 9), answer);
  recv(fd, request, sizeof request, 0); /* its ACK */
  const char *from = answer + NLMSG_HDRLEN + GENL_HDRLEN, *to = answer + length;
  family = *(uint16_t *)((char *)find(from, to, CTRL_ATTR_FAMILY_ID) + NLA_HDRLEN);
  const struct nlattr *groups = find(from, to, CTRL_ATTR_MCAST_GROUPS);
  const char *at = (const char *)groups + NLA_HDRLEN, *end = (const char *)groups + groups->nla_len;
  for (; at < end; at += NLA_ALIGN(((struct nlattr *)at)->nla_len)) {
    const char *inner = at + NLA_HDRLEN, *inner_end = at + ((struct nlattr *)at)->nla_len;
    const struct nlattr *name = find(inner, inner_end, CTRL_ATTR_MCAST_GRP_NAME);
    if (name && strcmp((char *)name + NLA_HDRLEN, "mptcp_pm_events") == 0)
      group = *(int *)((char *)find(inner, inner_end, CTRL_ATTR_MCAST_GRP_ID) + NLA_HDRLEN);
  }
}

static struct in_addr local;

static void answer_event(int fd, const char *from, const char *to) {
  const struct nlattr *token = find(from, to, MPTCP_ATTR_TOKEN), *server = find(from, to, MPTCP_ATTR_SERVER_SIDE);
  const struct nlattr *address = find(from, to, MPTCP_ATTR_DADDR4), *port = find(from, to, MPTCP_ATTR_DPORT);
  if (!token || !address || !port || (server && *((uint8_t *)server + NLA_HDRLEN))) return;
  char request[256], answer[8192], nested[64];
  const uint16_t inet = AF_INET, host_port = ntohs(*(uint16_t *)((char *)port + NLA_HDRLEN));
  const uint8_t id = 1;
  char *body = request + NLMSG_HDRLEN + GENL_HDRLEN;
  char *end = put(body, MPTCP_PM_ATTR_TOKEN, (char *)token + NLA_HDRLEN, 4);
  char *nest = put(nested, MPTCP_PM_ADDR_ATTR_FAMILY, &inet, 2);
  nest = put(nest, MPTCP_PM_ADDR_ATTR_ADDR4, &local, 4);
  nest = put(nest, MPTCP_PM_ADDR_ATTR_ID, &id, 1);
  end = put(end, MPTCP_PM_ATTR_ADDR | NLA_F_NESTED, nested, (int)(nest - nested));
  nest = put(nested, MPTCP_PM_ADDR_ATTR_FAMILY, &inet, 2);
  nest = put(nest, MPTCP_PM_ADDR_ATTR_ADDR4, (char *)address + NLA_HDRLEN, 4);
  nest = put(nest, MPTCP_PM_ADDR_ATTR_PORT, &host_port, 2);
  end = put(end, MPTCP_PM_ATTR_ADDR_REMOTE | NLA_F_NESTED, nested, (int)(nest - nested));
  transact(fd, family, MPTCP_PM_CMD_SUBFLOW_CREATE, body, end, answer);
}

int main(int count, char **arguments) {
  if (count != 2 || inet_pton(AF_INET, arguments[1], &local) != 1) return 255;
  int commands = socket(AF_NETLINK, SOCK_RAW, NETLINK_GENERIC), events = socket(AF_NETLINK, SOCK_RAW, NETLINK_GENERIC);
  struct sockaddr_nl self = {.nl_family = AF_NETLINK};
  bind(commands, (struct sockaddr *)&self, sizeof self);
  bind(events, (struct sockaddr *)&self, sizeof self);
  resolve(commands);
  int bytes = 16 << 20;
  setsockopt(events, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof bytes);
  if (setsockopt(events, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof group)) return 1;
  puts("ready");
  fflush(stdout);
  static char buffer[8192];
  for (;;) {
    ssize_t length = recv(events, buffer, sizeof buffer, 0);
    if (length < (ssize_t)(NLMSG_HDRLEN + GENL_HDRLEN)) continue;
    if (((struct genlmsghdr *)(buffer + NLMSG_HDRLEN))->cmd != MPTCP_EVENT_ESTABLISHED) continue;
    answer_event(commands, buffer + NLMSG_HDRLEN + GENL_HDRLEN, buffer + length);
  }
}
