#!/usr/bin/env python3
"""Writes vectors.txt: PFCP messages built by pycrate, which is independent of this codec.

Run it where pycrate is installed (pip install pycrate): python3 make_vectors.py > vectors.txt
One line a message: name, one blank, hex octets. main.rs knows what each of them says.
"""
import logging
logging.disable(logging.CRITICAL)
from pycrate_mobile import TS29244_PFCP as P

V4 = bytes([192, 0, 2, 1])
N3 = bytes([198, 51, 100, 7])
UE = bytes([10, 45, 0, 2])


def ie(t, v):
    return {'Type': t, 'Data': v}


def u(n, v):
    return v.to_bytes(n, 'big')


def group(t, *ies):
    body = b''
    for e in ies:
        one = P.PFCPIE()
        one.set_val(e)
        body += one.to_bytes()
    return ie(t, body)


def message(name, mtype, seid, seq, *ies):
    m = P.PFCPMsg()
    m['Hdr'].set_val({'S': 0 if seid is None else 1, 'Type': mtype, 'SeqNum': seq,
                      **({} if seid is None else {'SEID': seid})})
    m[1].set_val([e for e in ies])
    print(name, m.to_bytes().hex())


NODE = ie(60, {'Type': 0, 'Val': V4})
RTS = ie(96, {'Val': 3900000000})
ACCEPTED = ie(19, 1)
F_SEID = ie(57, {'V4': 1, 'V6': 0, 'SEID': 0x1122334455667788, 'IPv4Addr': V4})
FLOW = b'permit out ip from 203.0.113.0/24 80 to assigned'

message('heartbeat_request', 1, None, 1, RTS)
message('heartbeat_response', 2, None, 0xFFFFFF, RTS)
message('association_setup_request', 5, None, 2, NODE, RTS, ie(89, u(1, 3)))
message('association_setup_response', 6, None, 2,
        ie(60, b'\x02' + b'\x03upf\x04test'), ACCEPTED, RTS, ie(43, u(2, 0x1001)))
message('association_update_request', 7, None, 3, NODE,
        ie(111, {'SARR': 1, 'URSS': 0}), ie(112, {'TimerUnit': 1, 'TimerVal': 5}))
message('association_release_request', 9, None, 3, NODE)
message('association_release_response', 10, None, 3, NODE, ACCEPTED)
message('version_not_supported', 11, None, 4)
message('node_report_request', 12, None, 5, NODE,
        ie(101, {'UPFR': 1}), group(102, ie(103, b'\x02' + N3)))
message('node_report_response', 13, None, 5, NODE, ACCEPTED)

PDI_UL = group(2, ie(20, {'If': 0}),
               ie(21, {'CHID': 1, 'CH': 1, 'V4': 1, 'V6': 0, 'CHOOSE_ID': 9}),
               ie(22, b'\x08internet'),
               ie(93, {'SD': 0, 'V4': 1, 'V6': 0, 'IPv4Addr': UE}), ie(124, {'QFI': 1}))
PDI_DL = group(2, ie(20, {'If': 1}), ie(93, {'SD': 1, 'V4': 1, 'V6': 0, 'IPv4Addr': UE}),
               ie(23, {'FD': 1, 'BID': 1, 'FlowDesc': {'Val': FLOW}, 'SDFFilterID': 3}),
               ie(23, {'TTC': 1, 'SPI': 1, 'FL': 1, 'ToSTrafficClass': b'\x28\xfc',
                       'SecurityParameterIndex': b'\0\0\0\7', 'FlowLabel': b'\0\0\5'}))
message('session_establishment_request', 50, 0, 6, NODE, F_SEID,
        group(1, ie(56, {'Val': 1}), ie(29, {'Val': 100}), PDI_UL,
              ie(95, b'\x00'), ie(108, {'Val': 1}), ie(81, {'Val': 1}), ie(109, {'Val': 1}),
              ie(109, {'Val': 2})),
        group(1, ie(56, {'Val': 2}), ie(29, {'Val': 255}), PDI_DL, ie(108, {'Val': 2})),
        group(3, ie(108, {'Val': 1}), ie(44, b'\x02\x00'),
              group(4, ie(42, b'\x01'), ie(22, b'\x08internet'))),
        group(3, ie(108, {'Val': 2}), ie(44, b'\x0c\x00'), ie(88, {'Val': 1})),
        group(6, ie(81, {'Val': 1}), ie(62, {'VOLUM': 1, 'DURAT': 1}), ie(37, b'\x03\x01\x00'),
              ie(64, {'Val': 60}), ie(31, {'TOVOL': 1, 'Total': 1000000}),
              ie(73, {'TOVOL': 1, 'ULVOL': 1, 'DLVOL': 1, 'Total': 3, 'Uplink': 1, 'Downlink': 2}),
              ie(32, {'Val': 600})),
        group(7, ie(109, {'Val': 1}), ie(25, {'ULGate': 0, 'DLGate': 1}),
              ie(26, {'UL': 1000, 'DL': 0xFFFFFFFFFF}), ie(27, {'UL': 10, 'DL': 20}),
              ie(124, {'QFI': 63}), ie(123, {'RQI': 1})),
        group(85, ie(88, {'Val': 1}), ie(46, {'Val': 2}), ie(140, {'Val': 9})),
        ie(113, {'Val': 1}), ie(117, {'Val': 3600}),
        ie(141, {'IMSIF': 1, 'IMSI': {'Val': bytes.fromhex('00010100000000f1')}}),
        ie(159, b'\x08internet'), ie(257, {'SST': 1, 'SD': 0x010203}))
message('session_establishment_response', 51, 0x1122334455667788, 6, NODE, ACCEPTED,
        ie(57, {'V4': 1, 'V6': 1, 'SEID': 5, 'IPv4Addr': V4, 'IPv6Addr': bytes(15) + b'\1'}),
        group(8, ie(56, {'Val': 1}), ie(21, {'V4': 1, 'V6': 0, 'TEID': 0xDEADBEEF, 'IPv4Addr': N3})),
        group(51, ie(52, u(4, 1)), ie(53, u(1, 42))),
        group(54, ie(52, u(4, 2)), ie(53, u(1, 10)), ie(55, {'TimerUnit': 0, 'TimerVal': 3}),
              ie(110, {'AOCI': 1})))
message('session_establishment_refused', 51, 0x1122334455667788, 6, NODE, ie(19, 73),
        ie(40, u(2, 21)), ie(114, b'\x01\x00\x00\x00\x02'))
message('session_modification_request', 52, 5, 7,
        group(15, ie(56, {'Val': 3})), group(16, ie(108, {'Val': 3})), group(17, ie(81, {'Val': 3})),
        group(18, ie(109, {'Val': 3})), group(87, ie(88, {'Val': 3})),
        group(9, ie(56, {'Val': 2}), ie(29, {'Val': 10})),
        group(10, ie(108, {'Val': 2}), ie(44, b'\x02\x00'),
              group(11, ie(42, b'\x00'),
                    ie(84, b'\x01\x00' + u(4, 0xCAFE) + N3), ie(30, b'\xb8\xfc'), ie(49, b'\x02'))),
        group(13, ie(81, {'Val': 1}), ie(31, {'DLVOL': 1, 'Downlink': 7})),
        group(14, ie(109, {'Val': 1}), ie(26, {'UL': 5, 'DL': 6})),
        group(86, ie(88, {'Val': 1}), ie(140, {'Val': 3})),
        ie(49, {'QAURR': 1}), group(77, ie(81, {'Val': 1})))
REPORT = (ie(81, {'Val': 1}), ie(104, u(4, 2)), ie(63, b'\x80\x08\x00'), ie(75, {'Val': 1}), ie(76, {'Val': 2}),
          ie(66, {'DLNOP': 1, 'ULNOP': 1, 'TONOP': 1, 'DLVOL': 1, 'ULVOL': 1, 'TOVOL': 1,
                  'TotalVolume': 30, 'UplinkVolume': 10, 'DownlinkVolume': 20,
                  'TotalNumPackets': 3, 'UplinkNumPackets': 1, 'DownlinkNumPackets': 2}),
          ie(67, {'Val': 9}))
message('session_modification_response', 53, 1, 7, ACCEPTED, group(78, *REPORT))
message('session_deletion_request', 54, 5, 8)
message('session_deletion_response', 55, 1, 8, ACCEPTED, group(79, *REPORT))
message('session_report_request', 56, 1, 9, ie(39, u(1, 7)),
        group(83, ie(56, {'Val': 2}), ie(45, b'\x02\x09')), group(80, *REPORT),
        group(99, ie(21, {'V4': 1, 'V6': 0, 'TEID': 0xCAFE, 'IPv4Addr': N3})))
message('session_report_response', 57, 5, 9, ACCEPTED,
        group(12, ie(88, {'Val': 1}), ie(47, {'TimerUnit': 1, 'TimerVal': 1})), ie(50, {'DROBU': 1}))


def text(value):
    return u(2, len(value)) + value


message('pfd_management_request', 3, None, 10,
        group(58, ie(24, b'chat'),
              group(59, ie(61, b'\x01\x00' + text(FLOW)), ie(61, b'\x06\x00' + text(b'http://a/') + text(b'a.example'))),
              group(59, ie(61, b'\x21\x00' + text(FLOW) + text(text(FLOW) + text(FLOW))))),
        group(58, ie(24, b'gone')), NODE)
message('pfd_management_response', 4, None, 10, ie(19, 69), ie(40, u(2, 61)), NODE)
message('session_modification_request_more', 52, 5, 11,
        group(1, ie(56, {'Val': 7}), ie(29, {'Val': 1}), group(2, ie(20, {'If': 1})), ie(108, {'Val': 1}),
              ie(106, b'voice'), ie(106, b'no-chat')),
        group(3, ie(108, {'Val': 1}), ie(44, b'\x12\x00'),
              group(4, ie(42, b'\x01'), ie(38, b'\x00' + text(b'192.0.2.80')), ie(41, b'\x01p')),
              group(5, ie(42, b'\x04'), ie(84, b'\x01\x00' + u(4, 0xCAFE) + N3), ie(30, b'\xb8\xfc')),
              group(5, ie(42, b'\x01'))),
        group(9, ie(56, {'Val': 2}), ie(106, b'voice'), ie(107, b'no-chat')),
        group(10, ie(108, {'Val': 2}),
              group(11, ie(38, b'\x02' + text(b'http://portal.example/'))),
              group(105, ie(84, b'\x01\x00' + u(4, 0xCAFE) + N3))))
message('session_report_request_start', 56, 1, 12, ie(39, u(1, 2)),
        group(80, ie(81, {'Val': 1}), ie(104, u(4, 0)), ie(63, b'\x10\x00\x00'), group(68, ie(24, b'chat'))))
AFTER = (ie(33, {'Val': 3_900_000_000}), ie(34, {'TOVOL': 1, 'Total': 5}), ie(35, {'Val': 6}),
         ie(121, {'DLVOL': 1, 'Downlink': 7}), ie(122, {'Val': 8}))
message('session_modification_request_usage', 52, 5, 13,
        group(6, ie(81, {'Val': 1}), ie(62, {'VOLUM': 1, 'DURAT': 1}), ie(37, b'\x40\x80\x00'),
              ie(72, {'DLPA': 1, 'DLBY': 1, 'DLPackets': 3, 'NumBytesDLData': 4}), ie(181, {'Val': 60}), *AFTER),
        group(13, ie(81, {'Val': 2}), ie(72, b'\x02' + u(8, 4)), ie(181, {'Val': 60}), *AFTER))
message('session_report_request_monitoring', 56, 1, 14, ie(39, u(1, 2)),
        group(80, ie(81, {'Val': 1}), ie(104, u(4, 0)), ie(63, b'\x00\x10\x00'), ie(90, b'\x01')),
        group(80, ie(81, {'Val': 1}), ie(104, u(4, 1)), ie(63, b'\x02\x00\x00'), ie(90, b'\x0a')))
