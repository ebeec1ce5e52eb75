{{/* The device that a reference point is at: $ and its name. */}}
{{- define "tern.device" -}}
{{- $point := index .root.Values .point -}}
{{- if $point.network }}{{ .point }}{{ else }}eth0{{ end -}}
{{- end }}

{{/* The beginning of each configuration. */}}
{{- define "tern.sbi" -}}
sbi:
  # Of the pod, as it is when the process reads this.
  address: ${ipv4:eth0}
  {{- if ne .name "nrf" }}
  nrf: http://{{ .root.Release.Name }}-nrf:8080
  {{- end }}
  {{- if .root.Values.sharedMemory.enabled }}
  manager: /run/tern/manager.sock
  {{- else }}
  transport: tcp
  {{- end }}
{{- end }}

{{- define "tern.labels" -}}
app.kubernetes.io/name: tern
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .name }}
{{- end }}

{{/*
A container of tern. `root` is $, `name` what it is; `capabilities` a list; `store` whether its state is on disk;
`tun` whether it makes TUN devices; `user` its user, if not the image's.
*/}}
{{- define "tern.container" -}}
- name: {{ .name }}
  image: "{{ .root.Values.image.repository }}:{{ .root.Values.image.tag }}"
  imagePullPolicy: {{ .root.Values.image.pullPolicy }}
  args:
    - {{ .name }}
    - --config
    - /etc/tern/{{ .name }}.yaml
    {{- if and .store (ne .name "udr") }}
    - --store
    - /var/lib/tern/{{ .name }}.redb
    {{- end }}
  securityContext:
    {{- if eq (toString .user) "0" }}
    runAsUser: 0
    {{- else }}
    runAsNonRoot: true
    runAsUser: 65532
    runAsGroup: 65532
    {{- end }}
    readOnlyRootFilesystem: true
    {{- if .capabilities }}
    # Its own file gives the process what is added here; no_new_privs would forbid that.
    allowPrivilegeEscalation: true
    {{- else }}
    allowPrivilegeEscalation: false
    {{- end }}
    capabilities:
      drop: [ALL]
      {{- with .capabilities }}
      add: {{ toJson . }}
      {{- end }}
    seccompProfile: { type: RuntimeDefault }
  readinessProbe:
    exec: { command: [/tern, health] }
    periodSeconds: 2
    timeoutSeconds: 3
  livenessProbe:
    exec: { command: [/tern, health, --live] }
    periodSeconds: 10
    timeoutSeconds: 3
    failureThreshold: 3
  {{- with index .root.Values.resources .name }}
  resources:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  volumeMounts:
    - { name: config, mountPath: /etc/tern, readOnly: true }
    {{- if .root.Values.sharedMemory.enabled }}
    - { name: run, mountPath: /run/tern }
    {{- end }}
    {{- if .store }}
    - { name: data, mountPath: /var/lib/tern }
    {{- end }}
    {{- if .tun }}
    - { name: tun, mountPath: /dev/net/tun }
    {{- end }}
{{- end }}

{{- define "tern.volumes" -}}
- name: config
  {{- if .secret }}
  secret: { secretName: {{ .root.Release.Name }}-{{ .name }} }
  {{- else }}
  configMap: { name: {{ .root.Release.Name }}-{{ .name }} }
  {{- end }}
{{- if .root.Values.sharedMemory.enabled }}
- name: run
  hostPath: { path: {{ .root.Values.sharedMemory.hostPath }}, type: DirectoryOrCreate }
{{- end }}
{{- if .store }}
- name: data
  persistentVolumeClaim: { claimName: {{ .root.Release.Name }}-{{ .name }} }
{{- end }}
{{- if .tun }}
- name: tun
  hostPath: { path: /dev/net/tun, type: CharDevice }
{{- end }}
{{- end }}

{{- define "tern.config" -}}
apiVersion: v1
{{- if .secret }}
kind: Secret
{{- else }}
kind: ConfigMap
{{- end }}
metadata:
  name: {{ .root.Release.Name }}-{{ .name }}
  labels:
    {{- include "tern.labels" . | nindent 4 }}
{{ if .secret }}stringData{{ else }}data{{ end }}:
  {{ .name }}.yaml: |
    {{- .config | nindent 4 }}
{{- end }}

{{/* A network function: configuration, Service, claim, Deployment. `networks` are those of Multus. */}}
{{- define "tern.nf" -}}
{{ include "tern.config" . }}
---
apiVersion: v1
kind: Service
metadata:
  name: {{ .root.Release.Name }}-{{ .name }}
  labels:
    {{- include "tern.labels" . | nindent 4 }}
spec:
  # Others find it at the NRF by the address of its pod; this name is for the NRF, and for people.
  clusterIP: None
  selector:
    {{- include "tern.labels" . | nindent 4 }}
  ports:
    - { name: sbi, port: 8080, targetPort: 8080 }
{{- if .store }}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata:
  name: {{ .root.Release.Name }}-{{ .name }}
  labels:
    {{- include "tern.labels" . | nindent 4 }}
spec:
  accessModes: [ReadWriteOnce]
  {{- with .root.Values.storage.className }}
  storageClassName: {{ . }}
  {{- end }}
  resources: { requests: { storage: {{ .root.Values.storage.size }} } }
{{- end }}
---
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ .root.Release.Name }}-{{ .name }}
  labels:
    {{- include "tern.labels" . | nindent 4 }}
spec:
  replicas: 1
  # The state has one owner at a time, and so have addresses.
  strategy: { type: Recreate }
  selector:
    matchLabels:
      {{- include "tern.labels" . | nindent 6 }}
  template:
    metadata:
      labels:
        {{- include "tern.labels" . | nindent 8 }}
      annotations:
        # Another configuration is another pod.
        checksum/config: {{ sha256sum .config }}
        {{- with .networks }}
        k8s.v1.cni.cncf.io/networks: {{ join ", " . }}
        {{- end }}
    spec:
      enableServiceLinks: false
      automountServiceAccountToken: false
      terminationGracePeriodSeconds: 30
      securityContext:
        fsGroup: 65532
        {{- with .sysctls }}
        sysctls: {{ toJson . }}
        {{- end }}
      {{- with .root.Values.nodeSelector }}
      nodeSelector:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      containers:
        {{- include "tern.container" . | nindent 8 }}
      volumes:
        {{- include "tern.volumes" . | nindent 8 }}
{{- end }}
