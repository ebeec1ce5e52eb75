/* DPDK's inline functions, called for a burst at a time. */
#include "shim.h"

#include <stdio.h>
#include <string.h>

#include <rte_cycles.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_eth_ring.h>
#include <rte_ethdev.h>
#include <rte_lcore.h>
#include <rte_mbuf.h>
#include <rte_ring.h>

/* Frames of one call: the arrays here are of this length. */
#define BURST_MAX 64
/* Queues of a cable's end: what its driver takes. */
#define CABLE_QUEUES_MAX 16

int tern_eal_init(int argc, char **argv)
{
    return rte_eal_init(argc, argv) < 0 ? -rte_errno : 0;
}

int tern_thread_register(void)
{
    return rte_thread_register() < 0 ? -rte_errno : 0;
}

void tern_thread_unregister(void)
{
    rte_thread_unregister();
}

const char *tern_error(int code)
{
    return rte_strerror(-code);
}

int tern_pool_create(const char *name, uint32_t buffers, uint16_t room, void **pool)
{
    *pool = rte_pktmbuf_pool_create(name, buffers, BURST_MAX * 2, 0, RTE_PKTMBUF_HEADROOM + room,
                                    (int)rte_socket_id());
    return *pool == NULL ? -rte_errno : 0;
}

int tern_cable(const char *one, const char *other, uint16_t queues, uint32_t frames)
{
    struct rte_ring *rings[2][CABLE_QUEUES_MAX];
    const char *ends[2] = { one, other };
    unsigned int node = rte_socket_id() == (unsigned int)SOCKET_ID_ANY ? 0 : rte_socket_id();
    if (queues > CABLE_QUEUES_MAX)
        return -EINVAL;
    for (int end = 0; end < 2; end++) {
        for (uint16_t queue = 0; queue < queues; queue++) {
            char name[RTE_RING_NAMESIZE];
            snprintf(name, sizeof name, "%s_%u", ends[end], queue);
            rings[end][queue] = rte_ring_create(name, frames, (int)node, RING_F_SP_ENQ | RING_F_SC_DEQ);
            if (rings[end][queue] == NULL)
                return -rte_errno;
        }
    }
    for (int end = 0; end < 2; end++)
        if (rte_eth_from_rings(ends[end], rings[1 - end], queues, rings[end], queues, node) < 0)
            return -rte_errno;
    return 0;
}

int tern_port_find(const char *name, uint16_t *port)
{
    return rte_eth_dev_get_port_by_name(name, port);
}

int tern_port_about(uint16_t port, struct tern_port *about)
{
    struct rte_eth_dev_info info;
    struct rte_ether_addr mac;
    int failed = rte_eth_dev_info_get(port, &info);
    if (failed == 0)
        failed = rte_eth_macaddr_get(port, &mac);
    if (failed != 0)
        return failed;
    memcpy(about->mac, mac.addr_bytes, sizeof about->mac);
    about->queues_max = RTE_MIN(info.max_rx_queues, info.max_tx_queues);
    about->mtu_max = info.max_mtu;
    return 0;
}

int tern_port_start(uint16_t port, uint16_t queues, uint16_t mtu, void *pool)
{
    struct rte_eth_dev_info info;
    struct rte_eth_conf conf;
    uint16_t receive_descriptors = 1024, send_descriptors = 1024;
    int failed = rte_eth_dev_info_get(port, &info);
    if (failed != 0)
        return failed;
    memset(&conf, 0, sizeof conf);
    if (queues > 1 && info.flow_type_rss_offloads != 0) {
        conf.rxmode.mq_mode = RTE_ETH_MQ_RX_RSS;
        conf.rx_adv_conf.rss_conf.rss_hf =
            (RTE_ETH_RSS_IP | RTE_ETH_RSS_UDP | RTE_ETH_RSS_TCP) & info.flow_type_rss_offloads;
    }
    failed = rte_eth_dev_configure(port, queues, queues, &conf);
    if (failed == 0)
        failed = rte_eth_dev_adjust_nb_rx_tx_desc(port, &receive_descriptors, &send_descriptors);
    for (uint16_t queue = 0; failed == 0 && queue < queues; queue++) {
        failed = rte_eth_rx_queue_setup(port, queue, receive_descriptors,
                                        (unsigned int)rte_eth_dev_socket_id(port), NULL, pool);
        if (failed == 0)
            failed = rte_eth_tx_queue_setup(port, queue, send_descriptors,
                                            (unsigned int)rte_eth_dev_socket_id(port), NULL);
    }
    if (failed == 0 && mtu != 0)
        failed = rte_eth_dev_set_mtu(port, mtu);
    if (failed == 0)
        failed = rte_eth_dev_start(port);
    /* Neighbour discovery comes to groups of IPv6. A device that cannot keep them away brings them anyway. */
    if (failed == 0)
        (void)rte_eth_allmulticast_enable(port);
    return failed;
}

void tern_port_stop(uint16_t port)
{
    (void)rte_eth_dev_stop(port);
    (void)rte_eth_dev_close(port);
}

/* One row of octets, whatever the device made of it. */
static int describe(struct rte_mbuf *mbuf, struct tern_frame *frame)
{
    if (mbuf->nb_segs > 1 && rte_pktmbuf_linearize(mbuf) != 0)
        return -1;
    frame->mbuf = mbuf;
    frame->buffer = mbuf->buf_addr;
    frame->size = mbuf->buf_len;
    frame->start = mbuf->data_off;
    frame->length = rte_pktmbuf_data_len(mbuf);
    return 0;
}

uint16_t tern_receive(uint16_t port, uint16_t queue, struct tern_frame *frames, uint16_t most)
{
    struct rte_mbuf *mbufs[BURST_MAX];
    uint16_t got = rte_eth_rx_burst(port, queue, mbufs, RTE_MIN(most, BURST_MAX)), kept = 0;
    for (uint16_t at = 0; at < got; at++) {
        if (at + 4 < got)
            rte_prefetch0(rte_pktmbuf_mtod(mbufs[at + 4], void *));
        if (describe(mbufs[at], &frames[kept]) == 0)
            kept++;
        else
            rte_pktmbuf_free(mbufs[at]);
    }
    return kept;
}

uint16_t tern_allocate(void *pool, struct tern_frame *frames, uint16_t count)
{
    struct rte_mbuf *mbufs[BURST_MAX];
    if (count > BURST_MAX || rte_pktmbuf_alloc_bulk(pool, mbufs, count) != 0)
        return 0;
    for (uint16_t at = 0; at < count; at++)
        (void)describe(mbufs[at], &frames[at]);
    return count;
}

uint16_t tern_send(uint16_t port, uint16_t queue, struct tern_frame *frames, uint16_t count)
{
    struct rte_mbuf *mbufs[BURST_MAX];
    uint16_t wanted = RTE_MIN(count, BURST_MAX), sent;
    for (uint16_t at = 0; at < wanted; at++) {
        mbufs[at] = frames[at].mbuf;
        /* What the port that it came from said of it is not meant for the one that sends it. */
        mbufs[at]->ol_flags = 0;
        mbufs[at]->data_off = (uint16_t)frames[at].start;
        mbufs[at]->data_len = (uint16_t)frames[at].length;
        mbufs[at]->pkt_len = frames[at].length;
    }
    sent = rte_eth_tx_burst(port, queue, mbufs, wanted);
    if (sent < wanted)
        rte_pktmbuf_free_bulk(&mbufs[sent], wanted - sent);
    return sent;
}

void tern_free(struct tern_frame *frames, uint16_t count)
{
    struct rte_mbuf *mbufs[BURST_MAX];
    uint16_t wanted = RTE_MIN(count, BURST_MAX);
    for (uint16_t at = 0; at < wanted; at++)
        mbufs[at] = frames[at].mbuf;
    rte_pktmbuf_free_bulk(mbufs, wanted);
}

int tern_inbox_create(const char *name, uint32_t frames, void **inbox)
{
    *inbox = rte_ring_create(name, frames, SOCKET_ID_ANY, RING_F_SC_DEQ);
    return *inbox == NULL ? -rte_errno : 0;
}

void tern_inbox_free(void *inbox)
{
    void *mbuf;
    while (rte_ring_dequeue(inbox, &mbuf) == 0)
        rte_pktmbuf_free(mbuf);
    rte_ring_free(inbox);
}

uint16_t tern_give(void *inbox, struct tern_frame *frames, uint16_t count)
{
    struct rte_mbuf *mbufs[BURST_MAX];
    uint16_t wanted = RTE_MIN(count, BURST_MAX), given;
    for (uint16_t at = 0; at < wanted; at++)
        mbufs[at] = frames[at].mbuf;
    given = (uint16_t)rte_ring_enqueue_burst(inbox, (void **)mbufs, wanted, NULL);
    if (given < wanted)
        rte_pktmbuf_free_bulk(&mbufs[given], wanted - given);
    return given;
}

uint16_t tern_take(void *inbox, struct tern_frame *frames, uint16_t most)
{
    struct rte_mbuf *mbufs[BURST_MAX];
    uint16_t taken = (uint16_t)rte_ring_dequeue_burst(inbox, (void **)mbufs, RTE_MIN(most, BURST_MAX), NULL);
    for (uint16_t at = 0; at < taken; at++)
        (void)describe(mbufs[at], &frames[at]);
    return taken;
}

uint64_t tern_tsc_hz(void)
{
    return rte_get_tsc_hz();
}
