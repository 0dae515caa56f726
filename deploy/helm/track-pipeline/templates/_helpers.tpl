{{- define "track-pipeline.fullname" -}}
{{- $name := .Release.Name -}}
{{- if not (contains .Chart.Name $name) }}{{ $name = printf "%s-%s" $name .Chart.Name }}{{ end -}}
{{- $name = .Values.fullnameOverride | default $name -}}
{{- /* A pod's name, which is a host name too, has an ordinal of up to 5 digits appended. */ -}}
{{- if gt (len $name) 52 }}{{ fail (printf "the name %s is longer than 52 characters; set fullnameOverride" $name) }}{{ end -}}
{{- $name -}}
{{- end }}

{{- define "track-pipeline.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "track-pipeline.labels" -}}
{{ include "track-pipeline.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{- define "track-pipeline.image" -}}
{{- with .Values.image -}}
{{- if .digest }}{{ .repository }}@{{ .digest }}{{ else }}{{ .repository }}:{{ .tag | default $.Chart.AppVersion }}{{ end -}}
{{- end -}}
{{- end }}

{{- define "track-pipeline.workers" -}}
{{ .Values.settings.workers | default 1 | int }}
{{- end }}

{{- define "track-pipeline.bootstrap" -}}
{{- $servers := index (.Values.settings.kafka | default dict) "bootstrap.servers" -}}
{{- required "settings.kafka.bootstrap.servers is required, such as kafka-1:9092,kafka-2:9092 (in a values file: the key has a dot)" $servers -}}
{{- end }}

{{- define "track-pipeline.group" -}}
{{ .Values.settings.group | default "track-pipeline" }}
{{- end }}

{{- define "track-pipeline.rawTopic" -}}
{{ (.Values.settings.topics | default dict).raw | default "track.raw" }}
{{- end }}

{{/* More than the worker takes to finish its transaction and to leave its group. */}}
{{- define "track-pipeline.grace" -}}
{{ add (ceil (.Values.settings.shutdown_grace_s | default 25.0) | int) (.Values.terminationMarginSeconds | int) }}
{{- end }}

{{/* A value as TOML. Helm's own toToml turns 5000 into 5000.0, which is no whole number. */}}
{{- define "track-pipeline.toml" -}}
{{- if kindIs "map" . -}}
{ {{- $first := true -}}
{{- range $key, $value := . -}}
{{- if not $first }}, {{ end }}{{ $first = false }}{{ $key | toJson }} = {{ include "track-pipeline.toml" $value }}
{{- end -}} }
{{- else if kindIs "slice" . -}}
[ {{- range $n, $value := . -}}{{- if $n }}, {{ end }}{{ include "track-pipeline.toml" $value }}{{- end -}} ]
{{- else -}}
{{ . | toJson }}
{{- end -}}
{{- end }}

{{- define "track-pipeline.config" -}}
{{- $servers := include "track-pipeline.bootstrap" . -}}
{{- range $key, $value := .Values.settings -}}
{{- if and (not (kindIs "map" $value)) (not (kindIs "invalid" $value)) }}
{{ $key }} = {{ include "track-pipeline.toml" $value }}
{{- end -}}
{{- end -}}
{{- range $key, $table := .Values.settings -}}
{{- if and (kindIs "map" $table) $table }}

[{{ $key }}]
{{- range $name, $value := $table }}
{{- if not (kindIs "invalid" $value) }}
{{ $name | toJson }} = {{ include "track-pipeline.toml" $value }}
{{- end }}
{{- end }}
{{- end -}}
{{- end }}
{{ end }}

{{- define "track-pipeline.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{- define "track-pipeline.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end }}

{{/* Variables of every container: the files that hold secret values. */}}
{{- define "track-pipeline.env" -}}
{{- range .Values.secretFiles }}
- name: {{ .variable }}_FILE
  value: /etc/track-pipeline/secrets/{{ .variable }}
{{- end }}
{{- end }}

{{- define "track-pipeline.volumeMounts" -}}
- name: config
  mountPath: /etc/track-pipeline/config
  readOnly: true
{{- if .Values.secretFiles }}
- name: secrets
  mountPath: /etc/track-pipeline/secrets
  readOnly: true
{{- end }}
{{- range $n, $mount := .Values.mounts }}
- name: mount-{{ $n }}
  mountPath: {{ .path }}
  readOnly: true
{{- end }}
{{- end }}

{{/* Takes a list: the root context, and the name of the ConfigMap with pipeline.toml. */}}
{{- define "track-pipeline.volumes" -}}
{{- $root := index . 0 -}}
- name: config
  configMap:
    name: {{ index . 1 }}
{{- with $root.Values.secretFiles }}
- name: secrets
  projected:
    defaultMode: 0440
    sources:
    {{- range . }}
    - secret:
        name: {{ .secret }}
        items:
        - key: {{ .key }}
          path: {{ .variable }}
    {{- end }}
{{- end }}
{{- range $n, $mount := $root.Values.mounts }}
- name: mount-{{ $n }}
  {{- if .secret }}
  secret:
    secretName: {{ .secret }}
    defaultMode: 0440
  {{- else }}
  configMap:
    name: {{ .configMap }}
  {{- end }}
{{- end }}
{{- end }}

{{/* Takes a list: the root context, and the component's name. */}}
{{- define "track-pipeline.podMeta" -}}
{{- $root := index . 0 -}}
labels:
  {{- include "track-pipeline.selector" $root | nindent 2 }}
  app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
  app.kubernetes.io/component: {{ index . 1 }}
  {{- with $root.Values.podLabels }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
annotations:
  checksum/config: {{ include "track-pipeline.config" $root | sha256sum }}
  {{- with $root.Values.podAnnotations }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end }}

{{/* What the pods of all components have in common. */}}
{{- define "track-pipeline.podSpec" -}}
enableServiceLinks: false
securityContext:
  {{- include "track-pipeline.podSecurity" . | nindent 2 }}
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- end }}

{{- define "track-pipeline.container" -}}
image: {{ include "track-pipeline.image" . }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
securityContext:
  {{- include "track-pipeline.containerSecurity" . | nindent 2 }}
{{- end }}

{{/* A pod that runs one command to its end. Takes a list: root, component, ConfigMap, arguments,
     resources, and the size of its temporary folder or "". */}}
{{- define "track-pipeline.jobPod" -}}
{{- $root := index . 0 -}}
{{- $component := index . 1 -}}
{{- $spill := index . 5 -}}
metadata:
  {{- include "track-pipeline.podMeta" (list $root $component) | nindent 2 }}
spec:
  restartPolicy: Never
  automountServiceAccountToken: false
  {{- include "track-pipeline.podSpec" $root | nindent 2 }}
  containers:
  - name: {{ $component }}
    {{- include "track-pipeline.container" $root | nindent 4 }}
    args: {{ index . 3 | toJson }}
    {{- with include "track-pipeline.env" $root }}
    env:
      {{- . | trim | nindent 6 }}
    {{- end }}
    resources:
      {{- toYaml (index . 4) | nindent 6 }}
    volumeMounts:
      {{- include "track-pipeline.volumeMounts" $root | nindent 6 }}
      {{- if $spill }}
      - name: temporary
        mountPath: /tmp
      {{- end }}
  volumes:
    {{- include "track-pipeline.volumes" (list $root (index . 2)) | nindent 4 }}
    {{- if $spill }}
    - name: temporary
      emptyDir:
        sizeLimit: {{ $spill }}
    {{- end }}
{{- end }}
