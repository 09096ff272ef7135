/*
 * What netlink costs a C program, in nanoseconds, one a line.
 *   netlink family ROUNDS    CTRL_CMD_GETFAMILY of mptcp_pm: send, receive answer and ACK
 *   netlink limits ROUNDS    MPTCP_PM_CMD_GET_LIMITS, likewise
 *   netlink address ROUNDS   RTM_NEWADDR on one socket until epoll_wait and recv gave it on another
 *   netlink flood COUNT      no figures: COUNT RTM_NEWADDR as fast as the kernel takes them
 */
#include <arpa/inet.h>
#include <linux/genetlink.h>
#include <linux/mptcp.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>

static int64_t now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static int open_netlink(int protocol) {
  struct sockaddr_nl self = {.nl_family = AF_NETLINK};
  int fd = socket(AF_NETLINK, SOCK_RAW, protocol);
  bind(fd, (struct sockaddr *)&self, sizeof self);
  return fd;
}

static struct {
  struct nlmsghdr message;
  union {
    struct {
      struct genlmsghdr header;
      char attributes[64];
    } generic;
    struct {
      struct ifaddrmsg header;
      struct rtattr attribute;
      struct in_addr address;
    } address;
  };
} request;
static char answer[32768];

/* Sends the request and receives until its ACK. */
static void transact(int fd) {
  send(fd, &request, request.message.nlmsg_len, 0);
  for (;;) {
    ssize_t length = recv(fd, answer, sizeof answer, 0);
    for (struct nlmsghdr *at = (struct nlmsghdr *)answer; NLMSG_OK(at, length); at = NLMSG_NEXT(at, length))
      if (at->nlmsg_type == NLMSG_ERROR) return;
  }
}

static void prepare_family(void) {
  static const char name[] = "mptcp_pm";
  struct nlattr attribute = {NLA_HDRLEN + sizeof name, CTRL_ATTR_FAMILY_NAME};
  request.generic.header = (struct genlmsghdr){CTRL_CMD_GETFAMILY, 2, 0};
  memcpy(request.generic.attributes, &attribute, sizeof attribute);
  memcpy(request.generic.attributes + NLA_HDRLEN, name, sizeof name);
  request.message = (struct nlmsghdr){NLMSG_HDRLEN + GENL_HDRLEN + NLA_ALIGN(attribute.nla_len), GENL_ID_CTRL,
                                      NLM_F_REQUEST | NLM_F_ACK, 1, 0};
}

static void prepare_limits(int fd) {
  prepare_family();
  send(fd, &request, request.message.nlmsg_len, 0);
  recv(fd, answer, sizeof answer, 0);
  /* CTRL_ATTR_FAMILY_NAME, then CTRL_ATTR_FAMILY_ID: in this order since there is generic netlink. */
  struct nlattr *name = (struct nlattr *)(answer + NLMSG_HDRLEN + GENL_HDRLEN);
  uint16_t family = *(uint16_t *)((char *)name + NLA_ALIGN(name->nla_len) + NLA_HDRLEN);
  recv(fd, answer, sizeof answer, 0);
  request.generic.header = (struct genlmsghdr){MPTCP_PM_CMD_GET_LIMITS, 1, 0};
  request.message.nlmsg_len = NLMSG_HDRLEN + GENL_HDRLEN;
  request.message.nlmsg_type = family;
}

static void prepare_address(int round) {
  request.message = (struct nlmsghdr){NLMSG_LENGTH(sizeof request.address), (uint16_t)(round % 2 ? RTM_DELADDR : RTM_NEWADDR),
                                      NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE, 1, 0};
  request.address.header = (struct ifaddrmsg){AF_INET, 32, 0, 0, if_nametoindex("lo")};
  request.address.attribute = (struct rtattr){RTA_LENGTH(4), IFA_LOCAL};
  inet_pton(AF_INET, "127.9.9.9", &request.address.address);
}

static void address(int rounds) {
  int sender = open_netlink(NETLINK_ROUTE), receiver = open_netlink(NETLINK_ROUTE), group = RTNLGRP_IPV4_IFADDR;
  setsockopt(receiver, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof group);
  int set = epoll_create1(0);
  struct epoll_event event = {.events = EPOLLIN};
  epoll_ctl(set, EPOLL_CTL_ADD, receiver, &event);
  for (int i = 0; i < rounds; i++) {
    prepare_address(i);
    int64_t begin = now_ns();
    transact(sender);
    epoll_wait(set, &event, 1, 1000);
    recv(receiver, answer, sizeof answer, 0);
    printf("%lld\n", (long long)(now_ns() - begin));
  }
}

int main(int count, char **words) {
  if (count != 3) return 255;
  int rounds = atoi(words[2]);
  if (strcmp(words[1], "address") == 0) return address(rounds), 0;
  int flood = strcmp(words[1], "flood") == 0;
  int fd = open_netlink(flood ? NETLINK_ROUTE : NETLINK_GENERIC);
  if (strcmp(words[1], "limits") == 0) prepare_limits(fd);
  else prepare_family();
  for (int i = 0; i < rounds; i++) {
    if (flood) prepare_address(i);
    int64_t begin = now_ns();
    transact(fd);
    if (!flood) printf("%lld\n", (long long)(now_ns() - begin));
  }
  return 0;
}
