//! What is acted upon: files, flows, names, modules, and the sensor itself.

use std::net::IpAddr;

use crate::field::{FieldSpec, Group};
use crate::time::Timestamp;
use crate::value::{FieldType, Held, Text, Value, ValueRef};

entity! {
    /// The file acted upon.
    File in File {
        #[doc = "Absolute path, as seen from the host's root; after a rename the new path."]
        70 path: Text = "file.path", ecs "file.path", sigma "TargetFilename" "FileName@file_event";
        #[doc = "Path before a rename."]
        71 old_path: Text = "file_diff.path", sigma "SourceFilename" @unfit;
        #[doc = "Inode."]
        72 inode: U64 = "file.inode", ecs "file.inode" @unfit;
        #[doc = "Device, as stat(2) gives it."]
        73 device: U64 = "file.device" @unfit;
        #[doc = "Size in bytes after the activity."]
        74 size: U64 = "file.size", ecs "file.size";
        #[doc = "SHA-256 of the content after the activity, lower-case hexadecimal."]
        75 sha256: Text = "file.hash.sha256", ecs "file.hash.sha256", sigma "sha256" "Hashes";
        #[doc = "Permission bits and type (st_mode)."]
        76 mode: U64 = "file.mode" @unfit;
        #[doc = "Owner's user id."]
        77 owner_id: U64 = "file.owner.uid", ecs "file.uid";
        #[doc = "Bytes written by this process to this file since it was opened."]
        78 bytes_written: U64 = "file.bytes_written" @unfit;
        #[doc = "Bytes read by this process from this file since it was opened."]
        79 bytes_read: U64 = "file.bytes_read" @unfit;
        #[doc = "What makes it sensitive: credential, key, token or account database."]
        80 sensitivity: Text = "file.sensitivity", sigma "Sensitivity" @unfit;
        #[doc = "Why the hash is missing, when it is: too_large, not_regular, gone, changed or budget; tlsh_budget when only the fuzzy one is."]
        81 hash_missing: Text = "file.hash_missing" @unfit;
        #[doc = "How many kernel operations this activity stands for."]
        82 operations: U64 = "file.operations" @unfit;
        #[doc = "MD5 of the content after the activity, lower-case hexadecimal."]
        83 md5: Text = "file.hash.md5", ecs "file.hash.md5", sigma "md5" @unfit;
        #[doc = "SHA-1 of the content after the activity, lower-case hexadecimal."]
        84 sha1: Text = "file.hash.sha1", ecs "file.hash.sha1", sigma "sha1" @unfit;
        #[doc = "TLSH of the content (fuzzy hash, T1 form), for files of 50 bytes and more."]
        85 tlsh: Text = "file.hash.tlsh", ecs "file.hash.tlsh" @unfit;
        #[doc = "Shannon entropy of the content in thousandths of a bit per byte, 0 to 8,000."]
        86 entropy: U64 = "file.entropy" @unfit;
        #[doc = "First bytes of the content, at most 32, lower-case hexadecimal."]
        87 header: Text = "file.header", sigma "Header" @unfit;
        #[doc = "What the content is, by its first bytes: elf, script, pe, zip, gzip, text, …"]
        88 content_type: Text = "file.content_type", ecs "file.mime_type", sigma "ContentType" @unfit;
        #[doc = "What a link points to."]
        89 link_target: Text = "file.link_target", ecs "file.target_path" @unfit;
        #[doc = "Which attribute was changed: mode, owner, times, xattr, xattr_removed or flags."]
        90 attribute: Text = "file.attribute", sigma "Attribute" @unfit;
        #[doc = "Permission bits before the change."]
        91 old_mode: U64 = "file_diff.mode" @unfit;
        #[doc = "Group's id."]
        92 group_id: U64 = "file.group.uid", ecs "file.gid" @unfit;
        #[doc = "Name of the extended attribute."]
        93 xattr: Text = "file.xattr", sigma "ExtendedAttribute" @unfit;
        #[doc = "Type of the file system: ext4, overlay, tmpfs, …"]
        94 filesystem: Text = "file.filesystem", sigma "FileSystem" @unfit;
        #[doc = "What was mounted: a device, folder or name."]
        95 mount_source: Text = "file.mount_source", sigma "MountSource" @unfit;
        #[doc = "Flags of the mount, by name, joined by one space."]
        96 mount_flags: Text = "file.mount_flags" @unfit;
        #[doc = "Where it lives, when not on disk: memory."]
        97 origin: Text = "file.origin" @unfit;
        #[doc = "Overlay layer: upper or lower."]
        98 layer: Text = "file.layer" @unfit;
        #[doc = "What was set, as text: mode in octal, user:group, times, extended attribute, flags; of a device how it was opened."]
        99 value: Text = "file.attribute_value" @unfit;
    }
}

entity! {
    /// The flow acted upon, seen from this host: source is where it was opened from.
    Network in Network {
        #[doc = "Address of the side that opened the flow, or of the listener."]
        100 src_ip: Ip = "src_endpoint.ip", ecs "source.ip", sigma "SourceIp" "src_ip";
        #[doc = "Port of the side that opened the flow, or of the listener."]
        101 src_port: U64 = "src_endpoint.port", ecs "source.port", sigma "SourcePort" "src_port";
        #[doc = "Address of the side it was opened to."]
        102 dst_ip: Ip = "dst_endpoint.ip", ecs "destination.ip", sigma "DestinationIp" "dst_ip";
        #[doc = "Port of the side it was opened to."]
        103 dst_port: U64 = "dst_endpoint.port", ecs "destination.port", sigma "DestinationPort" "dst_port";
        #[doc = "Name of the destination, from the DNS answer this host saw last."]
        104 dst_host: Text = "dst_endpoint.hostname", ecs "destination.domain", sigma "DestinationHostname";
        #[doc = "Transport: tcp, udp, icmp, ipv6-icmp, sctp, raw, packet, unix, or a number."]
        105 protocol: Text = "connection_info.protocol_name", ecs "network.transport", sigma "Protocol";
        #[doc = "True when this host opened the flow, false when it accepted or listens."]
        106 initiated: Bool = "connection_info.initiated", sigma "Initiated" @unfit;
        #[doc = "Bytes sent by the side that opened the flow; of several flows all together."]
        107 bytes_out: U64 = "traffic.bytes_out", ecs "source.bytes";
        #[doc = "Bytes sent by the side it was opened to."]
        108 bytes_in: U64 = "traffic.bytes_in", ecs "destination.bytes";
        #[doc = "How many flows this activity stands for."]
        109 flows: U64 = "traffic.flows" @unfit;
        #[doc = "Error number of a refused or failed attempt; 0 or unset when none is known."]
        110 error: I64 = "connection_info.error" @unfit;
        #[doc = "How long the flow lasted, in milliseconds; of several the longest."]
        111 duration_ms: U64 = "traffic.duration_ms" @unfit;
        #[doc = "Path of a Unix socket; abstract names begin with @."]
        112 unix_path: Text = "connection_info.unix_path", sigma "SocketPath" @unfit;
        #[doc = "Kind of the socket: stream, dgram, seqpacket, raw or packet."]
        113 socket_type: Text = "connection_info.socket_type", sigma "SocketType" @unfit;
        #[doc = "What makes a Unix socket sensitive: container_engine, service_manager, …"]
        114 sensitivity: Text = "connection_info.sensitivity" @unfit;
    }
}

entity! {
    /// A DNS question, with its answer where one was seen.
    Dns in Dns {
        #[doc = "Name asked for, lower case, without the final dot."]
        130 query: Text = "query.hostname", ecs "dns.question.name", sigma "QueryName" "query";
        #[doc = "Type asked for: A, AAAA, TXT, …"]
        131 record_type: Text = "query.type", ecs "dns.question.type", sigma "record_type" "QueryType";
        #[doc = "Response code: NOERROR, NXDOMAIN, …; unset while no answer was seen."]
        132 response_code: Text = "rcode", ecs "dns.response_code", sigma "QueryStatus";
        #[doc = "Answers, joined by one space."]
        133 answers: Text = "answers", sigma "QueryResults" "answer" @unfit;
        #[doc = "Address of the resolver."]
        134 server_ip: Ip = "dns_server.ip" @unfit;
        #[doc = "Port of the resolver."]
        135 server_port: U64 = "dns_server.port" @unfit;
    }
}

entity! {
    /// A kernel module loaded or unloaded.
    Module in Module {
        #[doc = "Module name."]
        150 name: Text = "driver.file.name", ecs "dll.name", sigma "ImageLoaded";
        #[doc = "Path it was loaded from, where known."]
        151 path: Text = "driver.file.path", ecs "dll.path", sigma "ImageLoaded@image_load";
        #[doc = "Taint flags the module set."]
        152 taints: U64 = "driver.taints" @unfit;
        #[doc = "SHA-256 of the module's or library's file."]
        153 sha256: Text = "driver.file.hash.sha256", sigma "sha256@driver_load" "sha256@image_load" "Hashes@driver_load" "Hashes@image_load" @unfit;
        #[doc = "Inode of the file."]
        154 inode: U64 = "driver.file.inode" @unfit;
        #[doc = "Device of the file, as stat(2) gives it."]
        155 device: U64 = "driver.file.device" @unfit;
        #[doc = "Where the file lives: disk, memfd or deleted."]
        156 origin: Text = "driver.file.origin" @unfit;
        #[doc = "How it was loaded: init_module, finit_module, mmap."]
        157 call: Text = "driver.call" @unfit;
        #[doc = "How many loads of a library by this executable this activity stands for."]
        158 operations: U64 = "driver.operations" @unfit;
    }
}

entity! {
    /// The sensor speaking of itself: health, and what it lost or cannot see.
    Health in Health {
        #[doc = "Which part speaks: a probe, queue or store of the sensor."]
        160 part: Text = "sensor.part" @unfit;
        #[doc = "Why: queue_full, sensor_down, disk_full, probe_failed, started, stopped …"]
        161 reason: Text = "sensor.reason" @unfit;
        #[doc = "How many observations were lost; unset when it cannot be known."]
        162 lost: U64 = "sensor.lost" @unfit;
        #[doc = "Start of the interval that is meant."]
        163 from: Time = "sensor.from" @unfit;
        #[doc = "End of the interval that is meant."]
        164 to: Time = "sensor.to" @unfit;
        #[doc = "More for people."]
        165 detail: Text = "sensor.detail" @unfit;
        #[doc = "Tier in force: 1, 2 or 3."]
        166 tier: U64 = "sensor.tier" @unfit;
        #[doc = "What of the sensor's own was touched, for tampering: process, file, map, service …"]
        167 object: Text = "sensor.object", sigma "SensorObject" @unfit;
        #[doc = "What was lost by kind: names and counts, as `file.create 12, process.exec 3`; `other` where the kind is not known. Together they are `sensor.lost`."]
        168 lost_kinds: Text = "sensor.lost_kinds" @unfit;
    }
}

entity! {
    /// A TLS client's greeting, beside its flow.
    Tls in Tls {
        #[doc = "Server name asked for (SNI), lower case."]
        310 sni: Text = "tls.sni", ecs "tls.client.server_name", sigma "ServerName" @unfit;
        #[doc = "Protocols offered (ALPN), joined by one space."]
        311 alpn: Text = "tls.alpn" @unfit;
        #[doc = "JA3 fingerprint of the client: MD5 in lower-case hexadecimal."]
        312 ja3: Text = "tls.ja3_hash.value", ecs "tls.client.ja3", sigma "Ja3" @unfit;
        #[doc = "JA4 fingerprint of the client."]
        313 ja4: Text = "tls.ja4", ecs "tls.client.ja4", sigma "Ja4" @unfit;
        #[doc = "Highest version offered: 1.0, 1.1, 1.2 or 1.3."]
        314 version: Text = "tls.version", ecs "tls.version" @unfit;
        #[doc = "True when only the beginning of the greeting was seen: fingerprints are missing then."]
        315 truncated: Bool = "tls.truncated" @unfit;
    }
}
