/* What src/ffi.rs declares: DPDK in bursts, so that no structure of DPDK's is known in Rust. */
#ifndef TERN_DPDK_SHIM_H
#define TERN_DPDK_SHIM_H

#include <stdint.h>

/* One frame: its buffer, and the octets in it. */
struct tern_frame {
    void *mbuf;
    /* All octets of the buffer, and how many these are. */
    uint8_t *buffer;
    uint32_t size;
    /* Where in it the frame begins, and how long it is. */
    uint32_t start;
    uint32_t length;
};

/* What a port is. */
struct tern_port {
    uint8_t mac[6];
    uint16_t queues_max;
    uint16_t mtu_max;
};

/* Each gives 0 or a negative errno, if it says nothing else. */
int tern_eal_init(int argc, char **argv);
int tern_thread_register(void);
void tern_thread_unregister(void);
const char *tern_error(int code);
int tern_pool_create(const char *name, uint32_t buffers, uint16_t room, void **pool);
int tern_port_find(const char *name, uint16_t *port);
int tern_port_about(uint16_t port, struct tern_port *about);
/* Two ports that are each other's other end, `net_ring_` and their names: rings of so many frames. */
int tern_cable(const char *one, const char *other, uint16_t queues, uint32_t frames);
/* An MTU of 0 leaves it as it is. */
int tern_port_start(uint16_t port, uint16_t queues, uint16_t mtu, void *pool);
void tern_port_stop(uint16_t port);
/* How many frames have come, at most `most`. */
uint16_t tern_receive(uint16_t port, uint16_t queue, struct tern_frame *frames, uint16_t most);
/* How many of `count` buffers there were: all or none. */
uint16_t tern_allocate(void *pool, struct tern_frame *frames, uint16_t count);
/* Sends frames as long as they say; how many were taken. The others are freed. */
uint16_t tern_send(uint16_t port, uint16_t queue, struct tern_frame *frames, uint16_t count);
void tern_free(struct tern_frame *frames, uint16_t count);
/* A ring of frames that any thread may give and one takes. */
int tern_inbox_create(const char *name, uint32_t frames, void **inbox);
/* Frees it, and the frames in it. */
void tern_inbox_free(void *inbox);
/* How many frames were taken; the others are freed. */
uint16_t tern_give(void *inbox, struct tern_frame *frames, uint16_t count);
uint16_t tern_take(void *inbox, struct tern_frame *frames, uint16_t most);
uint64_t tern_tsc_hz(void);

#endif
