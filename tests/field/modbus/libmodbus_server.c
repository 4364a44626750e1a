/* An independent Modbus TCP server on libmodbus: input registers as an SDM630 documents them, one coil, holding echo.
 * Prints its port, serves one client after another until stdin ends. */
#include <errno.h>
#include <modbus.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <unistd.h>

static void put(modbus_mapping_t *map, int address, float value)
{
    /* modbus_set_float_abcd of 3.1.6 swaps the bytes of each register: the words are made by hand. */
    uint32_t bits;

    memcpy(&bits, &value, sizeof bits);
    map->tab_input_registers[address] = (uint16_t)(bits >> 16);
    map->tab_input_registers[address + 1] = (uint16_t)bits;
}

int main(void)
{
    modbus_t *context = modbus_new_tcp("127.0.0.1", 0);
    modbus_mapping_t *map = modbus_mapping_new(32, 32, 200, 200);
    int listener = modbus_tcp_listen(context, 4);
    struct sockaddr_in name;
    socklen_t length = sizeof name;
    fd_set all;
    int top;

    if (listener < 0 || map == NULL || getsockname(listener, (struct sockaddr *)&name, &length) != 0)
        return 1;
    for (int phase = 0; phase < 3; phase++) {
        put(map, 2 * phase, 229.0f + phase);
        put(map, 12 + 2 * phase, 1000.0f * (phase - 1));
    }
    put(map, 52, 0.0f);
    put(map, 70, 49.98f);
    put(map, 72, 1234.5f);
    put(map, 74, 67.25f);
    map->tab_input_bits[3] = 1;
    printf("%d\n", ntohs(name.sin_port));
    fflush(stdout);
    FD_ZERO(&all);
    FD_SET(listener, &all);
    FD_SET(0, &all);
    top = listener;
    for (;;) {
        fd_set ready = all;
        if (select(top + 1, &ready, NULL, NULL, NULL) < 0)
            return 1;
        if (FD_ISSET(0, &ready))
            return 0;
        for (int fd = 1; fd <= top; fd++) {
            uint8_t query[MODBUS_TCP_MAX_ADU_LENGTH];
            int got;
            if (!FD_ISSET(fd, &ready))
                continue;
            if (fd == listener) {
                int client = accept(listener, NULL, NULL);
                if (client >= 0) {
                    FD_SET(client, &all);
                    top = client > top ? client : top;
                }
                continue;
            }
            modbus_set_socket(context, fd);
            got = modbus_receive(context, query);
            if (got > 0)
                modbus_reply(context, query, got, map);
            else if (got < 0) {
                close(fd);
                FD_CLR(fd, &all);
            }
        }
    }
}
